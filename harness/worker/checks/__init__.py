"""What the checks of one suite call, one module a suite, and the calls that test the protocol itself."""

import pkgutil

# Modules of extensions lie in folders of their own, and are found here all the same.
__path__ = pkgutil.extend_path(__path__, __name__)
