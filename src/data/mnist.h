/* What is known about MNIST: its files, their sizes and digests. */
#ifndef CFI_DATA_MNIST_H
#define CFI_DATA_MNIST_H

#include "data/get.h"

#define CFI_MNIST_FOLDER "data/mnist" /* below the working folder */
#define CFI_MNIST_FILE_COUNT 4
#define CFI_MNIST_SIDE 28
#define CFI_MNIST_CLASS_COUNT 10

/* Training images, training labels, test images, test labels. */
extern const cfi_data_file cfi_mnist_files[CFI_MNIST_FILE_COUNT];

#endif
