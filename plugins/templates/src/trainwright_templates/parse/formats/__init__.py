"""The formats that this package brings, a file a family, found by the entry points `trainwright_response_formats`."""
