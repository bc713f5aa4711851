package sandbox

// legacySuid has nothing to try on this architecture.
func (a *attacker) legacySuid(string) {}
