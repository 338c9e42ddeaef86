package storetest

func statusTests() []test { return nil }
