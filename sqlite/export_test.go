package sqlite

// SetPiece makes folds so small that a test with few groups has several.
func (d *DB) SetPiece(n int) { d.piece = n }
