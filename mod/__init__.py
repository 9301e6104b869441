"""The NMODL files of the shipped cells, as package data; NEURON reads them, not Python."""

if __name__ != "nrn_mlfit.mod":
    raise ImportError("mod/ holds NMODL files; in Python it is nrn_mlfit.mod")
