"""The formats by their names. A new one is a module with an object in this table."""

from gpd.release.formats.diffusers_folder import DiffusersFolder
from gpd.release.formats.diffusers_lora import DiffusersLora
from gpd.release.formats.format import DTYPES, Format, Source
from gpd.release.formats.native_file import NativeFile
from gpd.release.formats.native_lora import NativeLora

FORMATS: dict[str, Format] = {
    format.name: format for format in (DiffusersFolder(), DiffusersLora(), NativeLora(), NativeFile())
}

__all__ = ["DTYPES", "FORMATS", "Format", "Source"]
