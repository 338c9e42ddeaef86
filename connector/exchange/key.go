package exchange

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// keyFileLimit bounds what is read of a key's file; a key has a few KB.
const keyFileLimit = 64 << 10

// ParseKey reads a private key from PEM text: PKCS #8, or the older forms of
// RSA (PKCS #1) and elliptic keys (SEC 1). Which kinds and lengths a remote
// takes is up to the caller. No error holds any of the text, but for the name
// of a block that is no private key.
func ParseKey(text string) (crypto.Signer, error) {
	// Neither can be in the base64 of a key.
	if strings.Contains(text, "ENCRYPTED PRIVATE KEY") || strings.Contains(text, "4,ENCRYPTED") {
		return nil, errors.New("the key is encrypted: decrypt it with openssl pkey")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("not a PEM private key (-----BEGIN PRIVATE KEY-----)")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("the PEM block is a %s, want a PRIVATE KEY", block.Type)
	}
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("the PEM block holds no readable private key that signs")
	}
	return signer, nil
}

// ReadKeyFile is the text of a key's file, at most 64 KiB of it.
func ReadKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, keyFileLimit))
	return string(text), err
}
