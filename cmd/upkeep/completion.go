package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/upkeep-sync/upkeep/internal/setup"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish. Load it with: source <(upkeep completion bash); the same with zsh; or upkeep completion fish | source."`
}

// The scripts ask this program what may stand where the cursor is, so that
// they know every command of the version at hand, and the syncs of the
// configuration. Where nothing is known the shell offers files.
var completionScripts = map[string]string{
	"bash": `_upkeep() {
	local IFS=$'\n'
	COMPREPLY=($(upkeep complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _upkeep upkeep
`,
	"zsh": `#compdef upkeep
_upkeep() {
	local -a found
	found=("${(@f)$(upkeep complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "${found[1]}" ]]; then
		compadd -a found
	else
		_files
	fi
}
if [[ "${funcstack[1]}" = _upkeep ]]; then
	_upkeep "$@"
else
	compdef _upkeep upkeep
fi
`,
	"fish": `function __upkeep_complete
	set -l words (commandline -opc) "$(commandline -ct)"
	upkeep complete -- $words[2..-1] 2>/dev/null
end
complete -c upkeep -f -a '(__upkeep_complete)'
complete -c upkeep -s c -l config -r -F
complete -c upkeep -s o -l output -r -F
`,
}

// Run prints the script.
func (c *completionCmd) Run(p *program) error {
	_, err := io.WriteString(p.out, completionScripts[c.Shell])
	return err
}

type completeCmd struct {
	Words []string `arg:"" optional:"" help:"The words of the command line up to the cursor, the last one perhaps not complete."`
}

// Run prints what may stand in the place of the last word, a line each.
func (c *completeCmd) Run(p *program) error {
	parser, err := kong.New(&cli{}, kong.Name("upkeep"))
	if err != nil {
		return err
	}
	l := commandLine{node: parser.Model.Node, config: p.config}
	last := len(c.Words) - 1
	for _, w := range c.Words[:max(last, 0)] {
		l.pass(w)
	}
	word := ""
	if last >= 0 {
		word = c.Words[last]
	}
	for _, s := range l.candidates(word, p) {
		if strings.HasPrefix(s, word) {
			if _, err := fmt.Fprintln(p.out, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// commandLine is as much of a command line as was read.
type commandLine struct {
	node    *kong.Node // the command so far
	waiting *kong.Flag // the flag whose value comes next
	place   int        // of the argument that comes next
	config  string
}

// pass reads a word.
func (l *commandLine) pass(word string) {
	if l.waiting != nil {
		if l.waiting.Name == "config" {
			l.config = word
		}
		l.waiting = nil
		return
	}
	if name, value, inside := strings.Cut(word, "="); strings.HasPrefix(word, "-") {
		f := l.flag(name)
		switch {
		case f == nil || f.IsBool():
		case !inside:
			l.waiting = f
		case f.Name == "config":
			l.config = value
		}
		return
	}
	for _, child := range l.node.Children {
		if child.Name == word {
			l.node, l.place = child, 0
			return
		}
	}
	l.place++
}

func (l *commandLine) flags() []*kong.Flag {
	var out []*kong.Flag
	for _, group := range l.node.AllFlags(true) {
		out = append(out, group...)
	}
	return out
}

func (l *commandLine) flag(name string) *kong.Flag {
	for _, f := range l.flags() {
		if name == "--"+f.Name || f.Short != 0 && name == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

// candidates are what may come next; the word that was begun decides only
// between flags and the rest.
func (l *commandLine) candidates(word string, p *program) []string {
	var out []string
	switch {
	case l.waiting != nil:
		return values(l.waiting.Value)
	case strings.HasPrefix(word, "-"):
		for _, f := range l.flags() {
			out = append(out, "--"+f.Name)
		}
	case len(l.node.Children) > 0:
		for _, child := range l.node.Children {
			if !child.Hidden {
				out = append(out, child.Name)
			}
		}
	case l.place < len(l.node.Positional):
		switch at := l.node.Positional[l.place]; at.Name {
		case "sync", "name":
			o := p.options(setup.Options{})
			o.Path = l.config
			syncs, remotes, _ := setup.Names(o) // a file that can't be read has no names to offer
			if out = syncs; at.Name == "name" {
				out = slices.Compact(slices.Sorted(slices.Values(append(out, remotes...))))
			}
		default:
			out = values(at)
		}
	}
	slices.Sort(out)
	return out
}

// values are the words that a value may be, if it is one of a few.
func values(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return slices.DeleteFunc(strings.Split(v.Enum, ","), func(s string) bool { return s == "" })
}
