"""Puts libtutti.so into the wheel, and gives the wheel the name of the systems that it runs on."""

import os

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class LibraryHook(BuildHookInterface):
    """Adds what Scripts/wheel built: it names the library and the platform in the environment."""

    def initialize(self, version, build_data):
        """Adds the library and the tag; refuses to make a wheel without them."""
        library = os.environ.get("TUTTI_WHEEL_LIBRARY")
        platform = os.environ.get("TUTTI_WHEEL_PLATFORM")
        if not library or not platform:
            raise RuntimeError("the wheel has the C library inside: build it by 'Scripts/wheel FOLDER'")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["force_include"][library] = "tutti/libtutti.so"
