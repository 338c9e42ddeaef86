package connector_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/upkeep-sync/upkeep/connector"
)

func TestSecretNeverShows(t *testing.T) {
	t.Parallel()
	type config struct {
		Name   string
		Secret connector.Secret `yaml:"secret"`
		Null   *connector.Secret
	}
	s := connector.Secret("hunter2")
	c := config{Name: "n", Secret: s, Null: &s}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "secret", s, "config", c)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "secret", s, "config", c)
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown := []string{logged.String(), string(j), string(y), fmt.Errorf("x: %w", fmt.Errorf("%v", c)).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		shown = append(shown, fmt.Sprintf(verb, s), fmt.Sprintf(verb, c), fmt.Sprintf(verb, []connector.Secret{s}),
			fmt.Sprintf(verb, map[connector.Secret]connector.Secret{s: s}))
	}
	for _, text := range shown {
		if strings.Contains(text, "hunter2") || strings.Contains(strings.ToLower(text), "68756e74657232") {
			t.Errorf("the secret shows in %q", text)
		}
	}
	if !strings.Contains(string(j), `"***"`) || s.Reveal() != "hunter2" || connector.Secret("").String() != "" {
		t.Errorf("json %s", j)
	}
}

func TestSecretIsReadAsText(t *testing.T) {
	t.Parallel()
	var v struct {
		A connector.Secret `yaml:"a" json:"a"`
	}
	if err := json.Unmarshal([]byte(`{"a":"x y"}`), &v); err != nil || v.A.Reveal() != "x y" {
		t.Errorf("json: %q, %v", v.A.Reveal(), err)
	}
	for _, doc := range []string{"a: x y\n", "a: \"x y\"\n", "a: |-\n  x y\n"} {
		v.A = ""
		if err := yaml.Unmarshal([]byte(doc), &v); err != nil || v.A.Reveal() != "x y" {
			t.Errorf("yaml %q: %q, %v", doc, v.A.Reveal(), err)
		}
	}
	if err := yaml.Unmarshal([]byte("a: 123456\n"), &v); err != nil || v.A.Reveal() != "123456" {
		t.Errorf("yaml number: %q, %v", v.A.Reveal(), err)
	}
}
