"""Responses of gas sensors, for regression: from a local folder, or downloaded when asked."""

from dataclasses import dataclass, field
from os import PathLike

import numpy as np

from factorflow._errors import InputError
from factorflow.datasets._gas_sensor_archive import fetched_batch_files
from factorflow.datasets._gas_sensor_files import found_batch_files, read_batches

# In the order of their labels in the files, which begin at 1.
GASES = ("ethanol", "ethylene", "ammonia", "acetaldehyde", "acetone", "toluene")


@dataclass(frozen=True, eq=False)
class GasSensor:
    """Measurements of one gas.

    Attributes
    ----------
    features
        ``(p, 128)``: eight features of the response of each of sixteen sensors.
    concentration
        ``(p,)``, of the gas in parts per million by volume.
    batch
        ``(p,)``, number of the file that each comes from; the batches follow one another in time
        over three years, in which the sensors drift.
    gas
        Its name.
    """

    features: np.ndarray = field(repr=False)
    concentration: np.ndarray = field(repr=False)
    batch: np.ndarray = field(repr=False)
    gas: str


def gas_sensor(
    path: str | PathLike[str] | None = None,
    gas: str = "ethanol",
    *,
    download: bool = False,
    sha256: str | None = None,
) -> GasSensor:
    """The measurements of one gas of "Gas Sensor Array Drift at Different Concentrations".

    Parameters
    ----------
    path
        A folder with files ``batch1.dat`` ... ``batch10.dat``, or some of them, or one such file.
        Without a path the copy in the user's cache folder is read.
    gas
        ``"ethanol"``, ``"ethylene"``, ``"ammonia"``, ``"acetaldehyde"``, ``"acetone"`` or
        ``"toluene"``, labels 1 to 6 of the files. By counts of others the whole archive holds
        2,565, 2,926, 1,641, 1,936, 3,009 and 1,833 measurements of them, together the 13,910 that
        UCI names.
    download
        True fetches the archive (10 MB) into the user's cache folder if it is not there yet; the
        terms of use are printed to standard error first. Nothing is ever downloaded otherwise.
    sha256
        SHA-256 of the archive that is expected in place of the one on record.

    Returns
    -------
    GasSensor
        Features and concentrations, in the order of the batches and of their lines.

    Raises
    ------
    InputError
        If the folder, the files or the gas are not known, if a line is malformed (it is named by
        its file and number), or if the archive cannot be had or has another hash.

    Notes
    -----
    Source: UCI Machine Learning Repository, data set 270, doi:10.24432/C5MK6M. For research
    only; cite Vergara et al. 2012 (Sensors and Actuators B 166) and Rodriguez-Lujan et al. 2014
    (Chemometrics and Intelligent Laboratory Systems 130).

    Examples
    --------
    >>> found = gas_sensor("gas-sensor")  # doctest: +SKIP
    >>> problem = Regression(found.features, found.concentration, power=4)  # doctest: +SKIP
    """
    if gas not in GASES:
        raise InputError(f"gas must be one of {', '.join(map(repr, GASES))}; got {gas!r}.")
    if path is not None and download:
        raise InputError(
            f"path={str(path)!r} names files on this machine and download=True asks for the "
            "archive; give one of the two."
        )
    if path is None:
        files = fetched_batch_files(download=download, sha256=sha256)
    else:
        files = found_batch_files(path)
    features, concentration, batch = read_batches(files, 1 + GASES.index(gas), len(GASES))
    if not len(features):
        names = ", ".join(file.name for file in files)
        raise InputError(
            f"There is no measurement of {gas} in {names} of {str(files[0].parent)!r}."
        )
    return GasSensor(features, concentration, batch, gas)
