package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

type versionCmd struct {
	JSON bool `help:"Print as JSON."`
}

// build is what the binary knows of itself.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	System   string `json:"system"`
}

// Run prints which build this is.
func (c *versionCmd) Run(p *program) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this binary holds no build information; build it with module support")
	}
	b := buildOf(info)
	if c.JSON {
		return printJSON(p.out, b)
	}
	fmt.Fprintf(p.out, "upkeep %s", b.Version)
	if b.Revision != "" {
		fmt.Fprintf(p.out, " (%s", b.Revision)
		if b.Modified {
			fmt.Fprint(p.out, ", modified")
		}
		if b.Time != "" {
			fmt.Fprintf(p.out, ", %s", b.Time)
		}
		fmt.Fprint(p.out, ")")
	}
	_, err := fmt.Fprintf(p.out, " %s %s\n", b.Go, b.System)
	return err
}

func buildOf(info *debug.BuildInfo) build {
	b := build{Version: info.Main.Version, Go: info.GoVersion}
	if b.Version == "" {
		b.Version = "(devel)"
	}
	var os, arch string
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "GOOS":
			os = s.Value
		case "GOARCH":
			arch = s.Value
		}
	}
	b.System = os + "/" + arch
	return b
}

// printJSON prints v, indented, with a newline.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
