"""The formats that this package brings, one file each; found through the entry points `trainwright_response_formats`."""
