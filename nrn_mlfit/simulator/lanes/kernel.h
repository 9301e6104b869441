/* What every generated source needs beside vector.h: tables, and the solution of the cable's tree.

The source of a cell includes this file, and has a struct `Cells` with what is stored for every lane. */
#ifndef NRN_MLFIT_KERNEL_H
#define NRN_MLFIT_KERNEL_H

#include "vector.h"

// A TABLE of some columns with COUNT + 1 points from LOW on, looked up as NEURON does: linear between points, constant beyond.
template <int COLUMNS, int COUNT> struct Table {
    double low, per_step;
    double rows[COUNT + 1][COLUMNS];

    struct Place {
        int row[LANES];
        wide part;
    };

    inline __attribute__((always_inline)) Place at(wide x) const {
        double position[LANES], part[LANES];
        Place place;
        store(position, (x - low) * per_step);
        for (int i = 0; i < LANES; i++) {
            double p = position[i];
            int row = p <= 0 ? 0 : p >= COUNT ? COUNT - 1 : int(p);  // a NaN has no row: the first, and stays NaN in part
            if (!(p == p)) row = 0;
            place.row[i] = row;
            part[i] = p <= 0 ? 0 : p >= COUNT ? 1 : p - row;
        }
        place.part = load_wide(part);
        return place;
    }

    inline __attribute__((always_inline)) wide value(int column, const Place &place) const {
        double here[LANES], next[LANES];
        for (int i = 0; i < LANES; i++) {
            here[i] = rows[place.row[i]][column];
            next[i] = rows[place.row[i] + 1][column];
        }
        wide start = load_wide(here);
        return start + place.part * (load_wide(next) - start);
    }
};

#endif
