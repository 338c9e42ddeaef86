package storetest

func loadTests() []test { return nil }
