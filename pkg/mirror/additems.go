package mirror

// AddItems returns manifest, which messages call file, with items added to the list
// under its key, which is made where there is none. Every byte besides stays as it
// is. As with EditRoutes the caller must parse the result.
func AddItems(file string, manifest []byte, key string, items []string) ([]byte, error) {
	t, err := readText(file, manifest)
	if err != nil {
		return nil, err
	}
	l, err := t.listIn(t.root, key)
	if err != nil {
		return nil, err
	}
	edits, err := l.edits(Change{Added: items})
	if err != nil {
		return nil, err
	}
	return t.apply(edits), nil
}
