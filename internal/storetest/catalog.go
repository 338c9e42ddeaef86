package storetest

func catalogTests() []test { return nil }
