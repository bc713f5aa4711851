// Package beneath opens files below a folder that somebody else may have written
// in: no symbolic link is followed in any part of a path, and nothing leads out.
package beneath
