package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// encodeForm encodes a tree as application/x-www-form-urlencoded, nested as
// Stripe and others have it: metadata[key]=v, items[0][price]=x. What is
// nothing (null, an empty list or object) is an empty text, which clears.
func encodeForm(tree any) ([]byte, error) {
	raw, err := encodeJSON(tree)
	if err != nil {
		return nil, err
	}
	v, err := parseJSON(raw)
	if err != nil {
		return nil, err
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("a form has names: its body must be an object")
	}
	form := url.Values{}
	for name, x := range top {
		if strings.ContainsAny(name, "[]") {
			return nil, fmt.Errorf("%q can't be a name in a form: write nested names as nested objects", name)
		}
		if err := flatten(form, name, x); err != nil {
			return nil, err
		}
	}
	return []byte(form.Encode()), nil
}

func flatten(form url.Values, name string, v any) error {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if strings.ContainsAny(k, "[]") {
				return fmt.Errorf("%q can't be a name in a form", k)
			}
			if err := flatten(form, name+"["+k+"]", x); err != nil {
				return err
			}
		}
		if len(v) > 0 {
			return nil
		}
	case []any:
		for i, x := range v {
			if err := flatten(form, name+"["+strconv.Itoa(i)+"]", x); err != nil {
				return err
			}
		}
		if len(v) > 0 {
			return nil
		}
	default:
		s, err := plainText(v)
		if err != nil {
			return fmt.Errorf("%s %w", name, err)
		}
		form.Set(name, s)
		return nil
	}
	form.Set(name, "")
	return nil
}
