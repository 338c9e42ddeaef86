package storetest

func nameTests() []test { return nil }
