#include "data/mnist.h"

const cfi_data_file cfi_mnist_files[CFI_MNIST_FILE_COUNT] = {
    {"train-images-idx3-ubyte", 47040016, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
    {"train-labels-idx1-ubyte", 60008, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
    {"t10k-images-idx3-ubyte", 7840016, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
    {"t10k-labels-idx1-ubyte", 10008, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
};

cf_status cfi_data_get_mnist(const char *folder, cfi_data_text_function on_text, void *user, cf_error *error)
{
    return cfi_data_get_files(cfi_mnist_files, CFI_MNIST_FILE_COUNT, folder != NULL ? folder : CFI_MNIST_FOLDER,
                              on_text, user, error);
}
