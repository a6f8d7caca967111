"""The archive of the gas sensor data at UCI: address, hash, terms of use."""

from pathlib import Path

from factorflow.datasets._archives import Archive, fetched_files
from factorflow.datasets._gas_sensor_files import found_batch_files, number_of

ARCHIVE = Archive(
    url="https://archive.ics.uci.edu/static/public/270/"
    "gas+sensor+array+drift+dataset+at+different+concentrations.zip",
    # UCI publishes no hash; three unrelated public projects check their downloads against this one.
    sha256="98fe3a30981a222dd4518fbcc3dddd45d5c0ce9b03ef6dc6fe5cf7a04cfbff5e",
    file_name="gas-sensor-270.zip",
    publisher="UCI",
    terms="""\
Gas Sensor Array Drift at Different Concentrations is published by the UCI Machine Learning
Repository (doi:10.24432/C5MK6M) for research; its page excludes commercial purposes. Please cite
Vergara et al. 2012, Sensors and Actuators B 166, 320-329, and Rodriguez-Lujan et al. 2014,
Chemometrics and Intelligent Laboratory Systems 130, 123-134.""",
    absent="The gas sensor data are not in the cache folder {folder!r}; give the path of the "
    "unpacked archive",
    archive="The gas sensor archive",
    wanted="The gas sensor archive",
)


def fetched_batch_files(*, download: bool, sha256: str | None) -> list[Path]:
    """The unpacked files of the archive in the cache, downloaded first if that was asked."""
    files = fetched_files(ARCHIVE, download=download, sha256=sha256)
    # Archives have had the folder of the batches under several names.
    batches = [file for file in files if number_of(file) and "__MACOSX" not in file.parts]
    if not batches:
        raise ARCHIVE.lacks("batch1.dat")
    return found_batch_files(batches[0].parent)
