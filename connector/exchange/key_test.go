package exchange_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/upkeep-sync/upkeep/connector/exchange"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	agrees, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	pkcs8 := func(key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return text("PRIVATE KEY", der, err)
	}
	sec1, err := x509.MarshalECPrivateKey(curve)
	for _, c := range []struct {
		text string
		want crypto.Signer
		says string
	}{
		{pkcs8(curve), curve, ""},
		{pkcs8(long), long, ""},
		{text("EC PRIVATE KEY", sec1, err), curve, ""},
		{text("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(long), nil), long, ""},
		{"\n" + pkcs8(curve) + "more", curve, ""},
		{pkcs8(agrees), nil, "no readable private key"},
		{text("PRIVATE KEY", []byte("canary"), nil), nil, "no readable private key"},
		{text("CERTIFICATE", []byte("canary"), nil), nil, "CERTIFICATE"},
		{text("ENCRYPTED PRIVATE KEY", []byte("canary"), nil), nil, "decrypt it"},
		{"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\ncanary==\n-----END RSA PRIVATE KEY-----\n", nil, "decrypt it"},
		{"canary", nil, "not a PEM"},
		{"", nil, "not a PEM"},
	} {
		key, err := exchange.ParseKey(c.text)
		if c.want != nil {
			if err != nil {
				t.Errorf("%.40s: %v", c.text, err)
				continue
			}
			if own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(c.want.Public()) {
				t.Errorf("%.40s: another key", c.text)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v, want %q", err, c.says)
		}
	}
}

func TestReadKeyFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "key.pem")
	if _, err := exchange.ReadKeyFile(file); !os.IsNotExist(err) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := exchange.ReadKeyFile(file); err != nil || len(text) != 64<<10 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}
