package kernel

// pause leaves the core to its other thread for a quarter to half a microsecond.
func pause()
