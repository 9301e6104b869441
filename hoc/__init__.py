"""The HOC templates and cell files of the shipped cells, as package data; NEURON reads them, not Python."""

if __name__ != "nrn_mlfit.hoc":
    raise ImportError("hoc/ holds NEURON files; in Python it is nrn_mlfit.hoc (NEURON itself is neuron.h)")
