"""Binary file formats: one file a format, each with a `FORMAT`. Text is read by `forecheck.data.reading.files`."""
