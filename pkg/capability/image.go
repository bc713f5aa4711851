package capability

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"bottle/pkg/atomicfile"
	"bottle/pkg/state"
	"bottle/pkg/strictjson"
)

// An Image is one that an approval had built, as the bottle's state has it.
type Image struct {
	Image    string    `json:"image"`    // its tag on the engine
	Base     string    `json:"base"`     // hex SHA-256 of the manifest's Dockerfile at that time
	Proposal string    `json:"proposal"` // its ID
	Built    time.Time `json:"built"`
	// Dockerfile is the text it was built from.
	Dockerfile string `json:"dockerfile"`
}

// Sum is what Image.Base holds of a Dockerfile.
func Sum(dockerfile string) string {
	sum := sha256.Sum256([]byte(dockerfile))
	return hex.EncodeToString(sum[:])
}

// Tag is the name of the image that is built from a Dockerfile for a bottle.
func Tag(slug, dockerfile string) string { return "bottle-" + slug + ":" + Sum(dockerfile)[:12] }

// File is where the bottle's state has its approved image.
func File(dir state.Dir) string { return dir.In("image.json") }

// Save notes that the next start of the bottle shall use img.
func Save(dir state.Dir, img Image) error {
	data, err := strictjson.Encode(img)
	if err != nil {
		return err
	}
	return atomicfile.Write(File(dir), data, 0o600)
}

// Next is the image that the next start of the bottle shall use in place of one
// from the manifest's dockerfile; ok is false when none was approved, or when the
// operator has changed the manifest's since, which then is the newer word.
func Next(dir state.Dir, dockerfile string) (img Image, ok bool, err error) {
	img, err = Load(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Image{}, false, nil
	}
	return img, err == nil && img.Base == Sum(dockerfile), err
}

// Load reads the bottle's approved image; fs.ErrNotExist when there is none.
func Load(dir state.Dir) (Image, error) {
	var img Image
	data, err := os.ReadFile(File(dir))
	if err != nil {
		return img, err
	}
	if err := strictjson.Unmarshal(data, &img); err != nil {
		return img, fmt.Errorf("%s: %v; wanted what an approval has written\nhint: remove the file, and the bottle starts from its manifest", File(dir), err)
	}
	return img, nil
}
