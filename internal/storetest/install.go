package storetest

func installTests() []test { return nil }
