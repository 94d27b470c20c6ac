// What a Go program does for the same rows: text/template with Sprig, sigs.k8s.io/yaml, and from there to the same
// body. For each number of rounds read, it renders all rows that often and prints the nanoseconds that took.
//
//	gotemplate TEMPLATE ROWS OWNER
//
// ROWS has one JSON object a line; OWNER is the JSON of the owner's name, namespace and uid. The first line printed is
// the body of the first row, so that it can be held against ours.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

const (
	hash   = "konnektr.io/applied-hash"
	noHash = "00000000000000000000000000000000"
)

type owner struct{ Name, Namespace, UID string }

type renderer struct {
	template *template.Template
	owner    owner
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gotemplate:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	// One core for all of it, the garbage collector too.
	runtime.GOMAXPROCS(1)
	if len(args) != 3 {
		return fmt.Errorf("usage: gotemplate TEMPLATE ROWS OWNER")
	}
	source, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	text, err := os.ReadFile(args[1])
	if err != nil {
		return err
	}
	rows := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var r renderer
	if err := json.Unmarshal([]byte(args[2]), &r.owner); err != nil {
		return err
	}
	functions := sprig.TxtFuncMap()
	functions["toYaml"] = toYaml
	r.template, err = template.New("row").Funcs(functions).Option("missingkey=error").Parse(string(source))
	if err != nil {
		return err
	}
	body, err := r.body(rows[0])
	if err != nil {
		return err
	}
	fmt.Println(string(body))
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		rounds, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		begin := time.Now()
		for range rounds {
			bodies := make([][]byte, 0, len(rows))
			for _, row := range rows {
				body, err := r.body(row)
				if err != nil {
					return err
				}
				bodies = append(bodies, body)
			}
			runtime.KeepAlive(bodies)
		}
		fmt.Println(time.Since(begin).Nanoseconds())
	}
	return in.Err()
}

// body renders one row: its object with our marks, ready to send.
func (r *renderer) body(text []byte) ([]byte, error) {
	var row map[string]any
	if err := json.Unmarshal(text, &row); err != nil {
		return nil, err
	}
	var rendered bytes.Buffer
	if err := r.template.Execute(&rendered, map[string]any{"Row": row}); err != nil {
		return nil, err
	}
	var object map[string]any
	if err := yaml.Unmarshal(rendered.Bytes(), &object); err != nil {
		return nil, err
	}
	metadata, ok := object["metadata"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no metadata")
	}
	metadata["namespace"] = r.owner.Namespace
	labels, ok := metadata["labels"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no labels")
	}
	labels["konnektr.io/managed-by"] = r.owner.Name
	labels["konnektr.io/managed-by-namespace"] = r.owner.Namespace
	metadata["annotations"] = map[string]any{"konnektr.io/owner-uid": r.owner.UID, hash: noHash}
	metadata["ownerReferences"] = []any{map[string]any{
		"apiVersion": "konnektr.io/v1alpha1", "kind": "DatabaseQueryResource", "name": r.owner.Name, "uid": r.owner.UID,
		"controller": true, "blockOwnerDeletion": true,
	}}
	body, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body)
	return bytes.Replace(body, []byte(noHash), []byte(hex.EncodeToString(sum[:16])), 1), nil
}

// toYaml as Helm has it.
func toYaml(value any) (string, error) {
	text, err := yaml.Marshal(value)
	return strings.TrimSuffix(string(text), "\n"), err
}
