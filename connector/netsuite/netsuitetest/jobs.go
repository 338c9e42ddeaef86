package netsuitetest

type jobs struct {
	byID  map[string]*job
	byKey map[string]string
}
type job struct{}

func isAsync(c *call) bool { return false }
func (s *Server) startJob(c *call, path []string) (*reply, *apiError) { return nil, errMethod(c) }
func (s *Server) serveJob(c *call, path []string) (*reply, *apiError) { return nil, errMethod(c) }
