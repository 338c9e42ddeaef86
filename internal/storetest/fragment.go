package storetest

func fragmentTests() []test { return nil }
