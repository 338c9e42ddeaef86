package storetest

func doubtTests() []test { return nil }
