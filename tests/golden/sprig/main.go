// Renders each template of cases.txt with Go's text/template and Sprig, over data.json, and writes what
// comes out to outputs.json; and the names of all of Sprig's functions to names.json. Run it here, after a
// change of the cases: go run .
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"os"
	"sort"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
)

// One case: what the template gives, nothing if that is an error.
type outcome struct {
	Template string  `json:"template"`
	Output   *string `json:"output"`
}

func main() {
	// Before anything asks for it: the operator's time zone is UTC.
	time.Local = time.UTC
	functions := sprig.TxtFuncMap()
	names := []string{}
	for name := range functions {
		names = append(names, name)
	}
	sort.Strings(names)
	functions["now"] = func() time.Time { return time.Date(2024, 5, 1, 10, 20, 30, 123456789, time.UTC) }

	outcomes := []outcome{}
	for _, line := range strings.Split(string(read("cases.txt")), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		outcomes = append(outcomes, outcome{line, render(functions, line)})
	}
	write("names.json", names)
	write("outputs.json", outcomes)
}

func render(functions template.FuncMap, text string) *string {
	// Anew for each: Sprig's set and merge change it.
	var data any
	if err := json.Unmarshal(read("data.json"), &data); err != nil {
		log.Fatal(err)
	}
	parsed, err := template.New("case").Funcs(functions).Parse(text)
	if err != nil {
		log.Fatalf("%s: %v", text, err)
	}
	out := new(bytes.Buffer)
	if parsed.Execute(out, data) != nil {
		return nil
	}
	rendered := out.String()
	return &rendered
}

func read(name string) []byte {
	content, err := os.ReadFile(name)
	if err != nil {
		log.Fatal(err)
	}
	return content
}

// Writes a JSON list, an item a line.
func write[T any](name string, items []T) {
	lines := []string{}
	for _, item := range items {
		line := new(bytes.Buffer)
		encoder := json.NewEncoder(line)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(item); err != nil {
			log.Fatal(err)
		}
		lines = append(lines, strings.TrimSuffix(line.String(), "\n"))
	}
	if err := os.WriteFile(name, []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644); err != nil {
		log.Fatal(err)
	}
}
