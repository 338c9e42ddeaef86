package storetest

func recordTests() []test { return nil }
