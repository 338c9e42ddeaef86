package upkeep

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector"
)

// What is weighed is about what is written, whatever the types are.
func TestWeightIsWhatIsWritten(t *testing.T) {
	text := strings.Repeat("x", 1000)
	for _, v := range []any{
		text, &text, []any{text, text}, []string{text, text}, [2]string{text}, map[string]any{text: text}, map[string][]string{"a": {text}}, []byte(text),
		Fields{"a": text}, []Fields{{"a": text}, {"b": Row{"c": text}}}, []Row{{"a": text}}, json.RawMessage(`"` + text + `"`), struct{ A, B string }{text, text}, []*string{&text, nil},
	} {
		plain, err := frozen(Fields{"f": v})
		if err != nil {
			t.Fatal(err)
		}
		written, err := encode(plain, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := weight(plain["f"]), int64(len(written["f"])); got < want*9/10 || got > want*11/10 {
			t.Errorf("%T is %d bytes, and weighs %d", v, want, got)
		}
	}
}

// To refuse a record that is too large takes no memory, however often one text
// stands in it. Not parallel: it is the process's memory that is looked at.
func TestTooLargeTakesNoMemory(t *testing.T) {
	text := strings.Repeat("x", 8<<20)
	list := make([]any, 10_000) // 80 GB
	for i := range list {
		list[i] = text
	}
	j := &job{def: &definition{}, record: connector.Record{}}
	j.def.Translate = func(Row) (Fields, error) { return Fields{"small": 1, "list": list}, nil }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := j.represent(Row{})
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), "the field list has 80000 MB") {
		t.Errorf("%v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("to say so took %d MB", n>>20)
	}
}
