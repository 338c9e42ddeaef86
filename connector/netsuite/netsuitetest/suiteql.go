package netsuitetest

func (s *Server) serveSuiteQL(c *call) (*reply, *apiError) { return nil, errMethod(c) }
