"""What `npx node-asgi doctor` tells of the Python that runs."""
import sys
from typing import Dict


def facts() -> Dict[str, str]:
    """Versions and places that decide what an app finds."""
    import ssl
    import zlib

    from . import isolation

    told = {
        "sys.prefix": sys.prefix,
        "ssl": ssl.OPENSSL_VERSION,
        "certificates": str(ssl.get_default_verify_paths().cafile or ssl.get_default_verify_paths().capath),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "symbols": isolation.install(),
    }
    try:
        import sqlite3

        told["sqlite"] = sqlite3.sqlite_version
    except ImportError:
        told["sqlite"] = "missing"
    try:
        import uvloop

        told["loop"] = f"uvloop {uvloop.__version__}"
    except ImportError:
        told["loop"] = "asyncio"
    return told
