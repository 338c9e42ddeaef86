package storetest

func limitTests() []test { return nil }
