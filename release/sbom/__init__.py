"""What an app is made of, as a CycloneDX document: found in the bundle itself, not in a wish list."""

from release.sbom.compose import Ingredients as Ingredients
from release.sbom.compose import compose as compose
