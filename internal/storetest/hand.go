package storetest

func handTests() []test { return nil }
