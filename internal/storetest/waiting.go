package storetest

func waitingTests() []test { return nil }
