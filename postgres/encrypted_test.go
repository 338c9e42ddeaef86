package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestClearConnectionsAreWarnedOf(t *testing.T) {
	t.Setenv("PGSSLMODE", "")
	for url, want := range map[string]string{
		"postgres://u@db.example/shop":                                       "db.example",
		"postgres://u@db.example/shop?sslmode=prefer":                        "db.example",
		"postgres://u@db.example/shop?sslmode=allow":                         "db.example",
		"postgres://u@192.168.1.5/shop?sslmode=disable":                      "192.168.1.5",
		"postgres://u@localhost,db.example/shop?sslmode=disable":             "db.example",
		"postgres://u@db.example/shop?sslmode=require":                       "",
		"postgres://u@db.example/shop?sslmode=verify-full":                   "",
		"postgres://u@localhost/shop?sslmode=disable":                        "",
		"postgres://u@127.0.0.1/shop?sslmode=disable":                        "",
		"postgres://u@[::1]/shop?sslmode=prefer":                             "",
		"postgres:///shop?host=/var/run/postgresql&sslmode=disable":          "",
		"host=@socket user=u dbname=shop sslmode=disable":                    "",
		"host=/tmp user=u dbname=shop":                                       "",
		"postgres://u@db.example,localhost/shop?sslmode=verify-full&port=77": "",
	} {
		c, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(url, err)
		}
		got := ""
		for _, f := range clearFindings(c) {
			got = f.Subject
		}
		if got != want {
			t.Errorf("%s: warned of %q, want %q", url, got, want)
		}
	}
}
