// Renders cases.json as a Go operator would, with text/template, Sprig and Helm's additions, and prints what
// sigs.k8s.io/yaml reads of it: the tree of each document. Run: go run . < cases.json > expected.json
package main

import (
	"encoding/json"
	"os"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
	"sigs.k8s.io/yaml"
)

type cases struct {
	Row       any               `json:"row"`
	Templates map[string]string `json:"templates"`
}

// Integers are integers, as they come from a database.
func typed(value any) any {
	switch value := value.(type) {
	case json.Number:
		if integer, err := value.Int64(); err == nil {
			return integer
		}
		float, _ := value.Float64()
		return float
	case map[string]any:
		for key := range value {
			value[key] = typed(value[key])
		}
	case []any:
		for at := range value {
			value[at] = typed(value[at])
		}
	}
	return value
}

func render(source string, row any) []any {
	tree := template.New("template")
	functions := sprig.TxtFuncMap()
	functions["toYaml"] = func(value any) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	functions["fromYaml"] = func(text string) (value map[string]any, err error) {
		err = yaml.Unmarshal([]byte(text), &value)
		return
	}
	functions["include"] = func(name string, data any) (string, error) {
		var out strings.Builder
		err := tree.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	_, err := tree.Funcs(functions).Parse(source)
	check(err)
	var out strings.Builder
	metadata := map[string]any{"Name": "d", "name": "d", "Namespace": "ns", "namespace": "ns"}
	check(tree.Execute(&out, map[string]any{"Row": row, "Metadata": metadata}))
	documents := []any{}
	for _, text := range strings.Split("\n"+out.String(), "\n---") {
		var document any
		check(yaml.Unmarshal([]byte(text), &document))
		if document != nil {
			documents = append(documents, document)
		}
	}
	return documents
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	var all cases
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	check(decoder.Decode(&all))
	row := typed(all.Row)
	expected := map[string][]any{}
	for name, source := range all.Templates {
		expected[name] = render(source, row)
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	check(encoder.Encode(expected))
}
