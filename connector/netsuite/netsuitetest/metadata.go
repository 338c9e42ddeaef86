package netsuitetest

func (s *Server) serveLimits(c *call) (*reply, *apiError) { return nil, errMethod(c) }
func (s *Server) serveMetadata(c *call, path []string) (*reply, *apiError) { return nil, errMethod(c) }
