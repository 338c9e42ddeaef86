package storetest

func foldTests() []test { return nil }
