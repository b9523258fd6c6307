"""The steps that turn a pjproject tarball into a wheel, headers and pkg-config."""
