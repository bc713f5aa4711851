package truststore

import (
	"bytes"
	"encoding/hex"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bottle/pkg/ca"
)

func certificate(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	cert, key, err := ca.New(name, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func TestFormat(t *testing.T) {
	cert, _ := certificate(t, "one")
	block, _ := pem.Decode(cert)
	store, err := JKS(append([]byte("# a comment\n"), append(cert, cert...)...), time.UnixMilli(0x1234))
	if err != nil {
		t.Fatal(err)
	}
	head := "feedfeed" + "00000002" + "00000001" + "00000002" + "0003303030" + "0000000000001234" + "0005582e353039"
	want, _ := hex.DecodeString(head)
	if !bytes.HasPrefix(store, want) || !bytes.Contains(store, block.Bytes) || len(store) != len(want)+4+len(block.Bytes)+20 {
		t.Errorf("%x", store[:len(want)])
	}
}

func TestRefuses(t *testing.T) {
	cert, key := certificate(t, "one")
	for name, bundle := range map[string][]byte{"nothing": nil, "words": []byte("words"), "a key": append(cert, key...), "rubbish": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})} {
		if store, err := JKS(bundle, time.Now()); err == nil {
			t.Errorf("%s: %d bytes", name, len(store))
		}
	}
}

// TestKeytool has Java's own program read a store of this system's roots and ours.
func TestKeytool(t *testing.T) {
	if _, err := exec.LookPath("keytool"); err != nil {
		t.Skip(err)
	}
	cert, _ := certificate(t, "one")
	bundle, err := ca.Bundle(cert)
	if err != nil {
		t.Fatal(err)
	}
	store, err := JKS(bundle, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "trust.jks")
	if err := os.WriteFile(file, store, 0o600); err != nil {
		t.Fatal(err)
	}
	certs, _ := certificates(bundle)
	out, err := exec.CommandContext(t.Context(), "keytool", "-list", "-keystore", file, "-storepass", Password).CombinedOutput()
	if n := strings.Count(string(out), "trustedCertEntry"); err != nil || n != len(certs) || n < 2 {
		t.Errorf("%v, %d of %d entries\n%.300s", err, n, len(certs), out)
	}
	if out, err := exec.CommandContext(t.Context(), "keytool", "-list", "-keystore", file, "-storepass", "another").CombinedOutput(); err == nil {
		t.Errorf("another password opens it: %.300s", out)
	}
}
