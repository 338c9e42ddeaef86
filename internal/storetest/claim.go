package storetest

func claimTests() []test { return nil }
