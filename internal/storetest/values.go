package storetest

func valueTests() []test { return nil }
