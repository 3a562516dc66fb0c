"""mkdocs hook: every page of the repository at its path there, and the files that pages link to."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = ("*.md", "action.yml", "findings/*", "examples/*/*")
"""What lies outside of docs/ and belongs to the site."""


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Move what mkdocs found in docs/ to `docs/…`, and add the rest; the theme's own files stay."""
    own = [file for file in files if file.src_dir == config.docs_dir]
    found = [file for file in files if file not in own]
    paths = [Path(file.abs_src_path or "") for file in own]
    paths += [path for pattern in OUTSIDE for path in sorted(ROOT.glob(pattern)) if path.is_file()]
    for path in paths:
        found.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return Files(found)
