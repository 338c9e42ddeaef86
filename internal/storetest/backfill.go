package storetest

func backfillTests() []test { return nil }
